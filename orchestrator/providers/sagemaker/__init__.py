"""Amazon SageMaker real-time endpoints of one account and region."""
