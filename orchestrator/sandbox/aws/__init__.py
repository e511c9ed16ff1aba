"""A simulated AWS: SageMaker hosting and the services beside it, spoken to by the AWS SDKs."""
