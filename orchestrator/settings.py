"""Settings from the environment and one TOML file; the environment wins."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

PREFIX = "ORCHESTRATOR_"
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_REDACTED = "[redacted]"
# Kubernetes sets these in every pod beside a service named "orchestrator"; they are not ours.
_SERVICE_LINKS = ("SERVICE_HOST", "SERVICE_PORT", "PORT_")

Seconds = Annotated[int, Field(ge=1)]
Timeout = Annotated[float, Field(gt=0, le=600)]


class SettingsError(ValueError):
    """One or more settings cannot be used; `problems` holds one sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class SettingSource:
    """One setting: its value with secrets redacted, and where that value comes from.

    `origin` is default, file, env or argument; `where` is the file's path or the variable's name.
    """

    name: str
    value: str
    origin: str
    where: str


class Settings(BaseSettings):
    """Everything that an installation may choose; each name is also `ORCHESTRATOR_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, env_ignore_empty=True, validate_default=True
    )

    state_dir: Path = Field(
        default_factory=lambda: _home("XDG_STATE_HOME", ".local/state"),
        description="Folder for the database and the first token, readable by its owner alone.",
        examples=["/var/lib/orchestrator"],
    )
    database_url: str = Field(
        default_factory=lambda data: f"sqlite:///{data.get('state_dir', '')}/orchestrator.db",
        repr=False,
        description="Where the store is: a SQLite file, or Postgres.",
        examples=["postgresql://USER:PASSWORD@HOST/NAME or sqlite:////var/lib/orchestrator.db"],
    )
    database_direct_url: str | None = Field(
        None,
        repr=False,
        description="Address of the same Postgres without a connection pooler, for the locks and "
        "notices of workers; `database_url` if unset.",
        examples=["postgresql://USER:PASSWORD@HOST/NAME"],
    )
    claim_lease_s: Seconds = Field(
        15,
        description="Seconds for which a worker on Postgres owns an account without renewing.",
        examples=["15"],
    )
    stop_within_s: Seconds = Field(
        40,
        description="Longest time, in seconds, that a worker takes to stop; one call to a cloud "
        "may take as long as its time-outs.",
        examples=["40"],
    )
    host: str = Field(
        "127.0.0.1", description="Address that the server listens on.", examples=["127.0.0.1"]
    )
    port: int = Field(
        8080, ge=0, le=65535, description="Port that the server listens on.", examples=["8080"]
    )
    usage_budget_usd_per_month: Decimal = Field(
        Decimal(20),
        ge=0,
        le=10_000,
        description="What reading request counts may cost a month and account, where a cloud "
        "charges for that; they are read less often rather than for more.",
        examples=["20"],
    )
    public_url: str | None = Field(
        None,
        description="Address at which people reach the server.",
        examples=["https://orchestrator.example.org"],
    )
    server_url: str | None = Field(
        None,
        description="Server that the command line talks to; the local one if unset.",
        examples=["https://orchestrator.example.org"],
    )
    token: SecretStr | None = Field(
        None, description="API token of the command line.", examples=["orc_..."]
    )
    point_late_limit_s: Seconds = Field(
        3600,
        description="Seconds by which a cron point of a schedule may be missed; what is later is "
        "dropped.",
        examples=["3600"],
    )
    observe_interval_s: Seconds = Field(
        60, description="Seconds between looks at an account.", examples=["60"]
    )
    transition_interval_s: Seconds = Field(
        10, description="Seconds between looks while something changes.", examples=["10"]
    )
    rates_interval_s: Seconds = Field(
        3600, description="Seconds between looks at prices.", examples=["3600"]
    )
    connect_timeout_s: Timeout = Field(
        10.0, description="Seconds to connect to a cloud.", examples=["10"]
    )
    read_timeout_s: Timeout = Field(
        30.0, description="Seconds to wait for a cloud's answer.", examples=["30"]
    )
    max_click_hold_hours: float = Field(
        4.0,
        gt=0,
        le=168,
        description="Longest hold, in hours, that a click against a rule makes.",
        examples=["4"],
    )
    max_hold_days: float = Field(
        30.0,
        gt=0,
        le=366,
        description="Longest hold, in days, that a person may ask for.",
        examples=["7"],
    )
    max_lease_minutes: float = Field(
        60.0,
        ge=1,
        le=1440,
        description="Longest time, in minutes, that a lease lasts without being renewed.",
        examples=["30"],
    )
    max_lease_hours: float = Field(
        24.0,
        gt=0,
        le=720,
        description="Longest time, in hours, that a lease lasts with all its renewals.",
        examples=["12"],
    )
    delete_grace_hours: float = Field(
        24.0,
        ge=0,
        le=2160,
        description="For how long, in hours, what is deleted is only paused and can be brought "
        "back, where a request does not say; 0 deletes at once.",
        examples=["24"],
    )
    bulk_confirm_above: int = Field(
        5,
        ge=0,
        le=10_000,
        description="How many endpoints one bulk request may change without a confirmed preview.",
        examples=["5"],
    )
    bulk_confirm_percent: int = Field(
        30,
        ge=1,
        le=100,
        description="The same as a percentage of the managed endpoints that are awake; a single "
        "endpoint is never too large a share.",
        examples=["30"],
    )
    allowed_cloud_labels: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Keys of cloud tags that rules may bind to.", examples=["team,stage"]
    )
    require_delivered_warnings: bool = Field(
        default=False,
        description="Whether deletions wait until somebody was told, also where no notification "
        "target wants their warnings.",
        examples=["true"],
    )
    allow_private_webhooks: bool = Field(
        default=False,
        description="Whether webhooks may lead to private machines, and by http.",
        examples=["true"],
    )
    keep_events_days: int = Field(
        400,
        ge=0,
        le=36_500,
        description="Days for which events are kept; 0 keeps them for ever.",
        examples=["400"],
    )
    keep_operations_days: int = Field(
        400,
        ge=0,
        le=36_500,
        description="Days for which ended operations are kept; 0 keeps them for ever.",
        examples=["400"],
    )
    keep_meter_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="Days for which closed stretches of the ledger are kept; 0 keeps them for "
        "ever, and any other number makes the costs of earlier days incomplete.",
        examples=["0"],
    )
    keep_usage_days: int = Field(
        400,
        ge=0,
        le=36_500,
        description="Days for which recorded use of endpoints is kept; 0 keeps it for ever.",
        examples=["400"],
    )
    keep_answers_days: int = Field(
        7,
        ge=7,
        le=365,
        description="Days for which a request with the same `Idempotency-Key` gets the same "
        "answer.",
        examples=["7"],
    )
    metrics_public: bool = Field(
        default=False,
        description="Whether /metrics is served without a token.",
        examples=["true"],
    )
    metrics_per_endpoint: bool = Field(
        default=False,
        description="Whether /metrics names every endpoint; large fleets make many series.",
        examples=["true"],
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port on which a worker serves its own metrics and probes; none if unset.",
        examples=["9464"],
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address on which a worker serves its own metrics.",
        examples=["127.0.0.1"],
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged.", examples=["info"]
    )
    log_format: Literal["json", "console"] = Field(
        "console", description="How logs are written.", examples=["json"]
    )
    initializing_billing: Literal["billed", "free", "unsure"] = Field(
        "unsure",
        description="Whether an endpoint is billed while it starts; unsure widens the bounds.",
        examples=["unsure"],
    )

    _origins: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the one file."""
        del dotenv_settings, file_secret_settings
        file = TomlConfigSettingsSource(settings_cls, toml_file=config_file())
        return init_settings, env_settings, file

    @field_validator("state_dir")
    @classmethod
    def _expand(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if not value.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("it names no supported database")
        return value

    @field_validator("database_direct_url")
    @classmethod
    def _postgres_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("postgresql://", "postgresql+psycopg://")):
            raise ValueError("it names no Postgres")
        return value

    @field_validator("public_url", "server_url")
    @classmethod
    def _web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("it is not a web address")
        if parts.username or parts.password:
            raise ValueError("it carries a user name or password")
        return value.rstrip("/")

    @field_validator("allowed_cloud_labels", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", "log_format", "initializing_billing", mode="before")
    @classmethod
    def _small_letters(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @property
    def api_url(self) -> str:
        """Return the server that the command line talks to: `server_url`, or the local one."""
        if self.server_url:
            return self.server_url
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def admin_token_file(self) -> Path:
        """Return where the server keeps the first admin token."""
        return self.state_dir / "admin-token"

    def with_overrides(self, **values: object) -> Self:
        """Return these settings with the given ones replaced; None leaves one as it is.

        Raises SettingsError when a value cannot be used.
        """
        given = {name: value for name, value in values.items() if value is not None}
        kept: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        origins = {**self._origins, **dict.fromkeys(given, ("argument", ""))}
        try:
            return type(self)(**{**kept, **given}).with_origins(origins)
        except ValidationError as error:
            raise SettingsError(_sentences(error, origins)) from None

    def with_origins(self, origins: Mapping[str, tuple[str, str]]) -> Self:
        """Remember where each value comes from, as (origin, where)."""
        self._origins = dict(origins)
        return self

    def sources(self) -> list[SettingSource]:
        """Return every setting, in alphabetical order, with its value and its origin."""
        return [
            SettingSource(name, _shown(getattr(self, name)), *self._origin(name))
            for name in sorted(type(self).model_fields)
        ]

    def _origin(self, name: str) -> tuple[str, str]:
        unset = ("argument" if name in self.model_fields_set else "default", "")
        return self._origins.get(name, unset)


def load() -> Settings:
    """Read and check all settings.

    Raises SettingsError, which names every bad setting, where it was set, and the remedy.
    """
    file = config_file()
    origins, unknown = _origins(os.environ, file)
    if unknown:
        raise SettingsError(unknown)
    try:
        return Settings().with_origins(origins)
    except ValidationError as error:
        raise SettingsError(_sentences(error, origins)) from None


def config_file() -> Path | None:
    """Return the one settings file: named by the environment, or the first that exists.

    Raises SettingsError when the environment names a file that is not there.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            problem = f"{CONFIG_VARIABLE} names {path}, which is not a file; correct or unset it"
            raise SettingsError([problem])
        return path
    places = (Path("orchestrator.toml"), _home("XDG_CONFIG_HOME", ".config") / "config.toml")
    return next((path.absolute() for path in places if path.is_file()), None)


def _home(variable: str, fallback: str) -> Path:
    base = os.environ.get(variable)
    return (Path(base) if base else Path.home() / fallback) / "orchestrator"


def _origins(
    environ: Mapping[str, str], file: Path | None
) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Return where each setting that is set comes from, and a sentence for each unknown key."""
    known = set(Settings.model_fields)
    origins: dict[str, tuple[str, str]] = {}
    unknown: list[str] = []
    for key in _file_keys(file):
        if key in known:
            origins[key] = ("file", str(file))
        else:
            unknown.append(f"unknown setting {key!r} in {file}; {_nearest(key, known)}")
    for variable in sorted(environ):
        name = variable.upper().removeprefix(PREFIX).lower()
        if not variable.upper().startswith(PREFIX) or not environ[variable]:
            continue
        if name in known:
            origins[name] = ("env", variable)
        elif variable != CONFIG_VARIABLE and not name.upper().startswith(_SERVICE_LINKS):
            unknown.append(f"unknown variable {variable}; {_nearest(name, known, PREFIX)}")
    return origins, unknown


def _file_keys(file: Path | None) -> Iterator[str]:
    if file is None:
        return
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError([f"{file} is not valid TOML: {error}; correct that line"]) from None
    except OSError as error:
        raise SettingsError(
            [f"{file} cannot be read: {error.strerror}; check its rights"]
        ) from None
    yield from content


def _nearest(name: str, known: set[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(
        name.lower().replace("-", "_"), sorted(known), n=1, cutoff=0.6
    )
    if not close:
        return "remove it, or see `orchestrator config` for the names that exist"
    return f"did you mean {prefix}{close[0].upper() if prefix else close[0]}?"


def _sentences(error: ValidationError, origins: Mapping[str, tuple[str, str]]) -> list[str]:
    return [_sentence(item, origins) for item in error.errors()]


def _sentence(error: ErrorDetails, origins: Mapping[str, tuple[str, str]]) -> str:
    """Return one sentence: the setting, its source, what is wrong, and the remedy."""
    name = str(error["loc"][0]) if error["loc"] else "settings"
    origin, where = origins.get(name, ("argument", ""))
    source = {"env": f"environment variable {where}", "file": where}.get(origin, "argument")
    reason = error["msg"].removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    return f"{name} ({source}): {_value_of(name, error)}{reason}; {_remedy(name, error)}"


def _value_of(name: str, error: ErrorDetails) -> str:
    value = error["input"]
    # A refused address may carry a password, so it is not repeated.
    if name in ("token", "database_url", "database_direct_url") or not isinstance(
        value, str | int | float
    ):
        return ""
    return "" if "@" in str(value) else f"{value!r} is refused: "


def _remedy(name: str, error: ErrorDetails) -> str:
    if name == "port" and str(error["input"]).startswith("tcp://"):
        return "Kubernetes has set it; give the pod `enableServiceLinks: false`"
    field = Settings.model_fields.get(name)
    if field is None or not field.examples:
        return "remove it; `orchestrator config` lists the names that exist"
    return f"write for example {field.examples[0]}"


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _REDACTED
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """Return a URL with its password and the values of its query redacted."""
    if "://" not in text:
        return text
    head, at, tail = text.rpartition("@")
    if at and ":" in head.partition("://")[2]:
        scheme, _, rest = head.partition("://")
        text = f"{scheme}://{rest.partition(':')[0]}:{_REDACTED}@{tail}"
    if "password=" not in text.lower():
        return text
    parts = urlsplit(text)
    return urlunsplit(parts._replace(query=_REDACTED))
