"""Recognises the names of credentials: headers, parameters in queries and forms, fields in bodies, variables."""

from __future__ import annotations

import functools
import re
from typing import Literal, TypeAlias
from urllib.parse import unquote_plus

__all__ = [
    "FieldKind",
    "field_kind",
    "is_account_header",
    "is_credential_header",
    "is_credential_name",
    "is_credential_parameter",
    "is_credential_variable",
    "may_be_credential_parameter",
    "snake_case",
]

#: A field in a body holds a credential always, unless a model made it up (`password`), if it looks like one (`token`),
#: or never.
FieldKind: TypeAlias = Literal["always", "password", "token", "never"]

#: Few runs need all of these patterns; compiling them all would take as long as everything else that the first call
#: imports.
_compiled = functools.cache(re.compile)

#: Words before `token` that make it something else: a position in pages or in a stream, or a piece of a text.
_UNLESS_AFTER_PAGE = "".join(
    f"(?<!{word}_)" for word in ("next", "page", "continuation", "sync", "stop", "eos", "bos", "pad")
)
#: Words before `key` that make it something else: the key of a row, an object or a request.
_OTHER_KEY_BEFORE = (
    r"(?<!idempotency_)(?<!cache_)(?<!primary_)(?<!foreign_)(?<!partition_)(?<!sort_)(?<!row_)(?<!object_)(?<!public_)"
    r"(?<!routing_)(?<!surrogate_)(?<!websocket_)(?<!storage_)(?<!request_)(?<!dedup_)(?<!index_)"
)
#: A number that distinguishes one of several: `api_key_2`, `x-api-key-v2`, `password1`.
_NUMBER = r"(?:_?v?[0-9]{1,3})?"
#: A password that a form asks for a second time.
_GIVEN_AGAIN = r"(?:_?(?:confirm(?:ation|ed)?|repeat(?:ed)?|again))?"
#: Endings of names (in snake case) that mean a credential everywhere.
_CREDENTIAL = (
    r"(?:^|_)(?:api_?keys?|(?:access|secret|secret_access|private|subscription|account|shared_access|auth|app|application"
    r"|master|service|virtual|functions|license|encryption|signing|webhook|client|hmac|deploy|admin|openai|anthropic"
    r"|azure|google|gemini|mistral|cohere|groq|deepseek|together|openrouter|perplexity|elevenlabs|xi_api)_?keys?(?:_id)?"
    r"|aws_?access_?key_?id|(?:client_?|app_?|shared_?|consumer_?|oauth_?|webhook_?)?secret|hapikey"
    rf"|passw(?:or)?ds?{_GIVEN_AGAIN}|pwd|pass_?phrase|authorization|connection_?string|jwt"
    r"|(?:access|auth|refresh|id|session|security|bearer|api|oauth|csrf|xsrf|authorization|jwt|personal|private|bot"
    r"|subscription|metadata|vault|github|gitlab|user|device|deploy|secret|app|service|admin|slack|hf)_?tokens?)"
    rf"{_NUMBER}$"
)
#: Endings that mean a credential in a header or a query. In bodies they are ordinary words (log probabilities have a
#: `token`, an answer is signed), so a token there must also look like a credential.
_CREDENTIAL_OUTSIDE_BODIES = (
    rf"(?:^|_)(?:{_UNLESS_AFTER_PAGE}token|cookie2?|credentials?|bearer|auth|signature|sig|jwt_assertion"
    rf"|authorization_auxiliary|(?:user|auth|db|login)_pass(?:code)?){_NUMBER}$"
)
_KEY_HEADER = rf"(?:^|_){_OTHER_KEY_BEFORE}key$"
_TOKEN_IN_BODY = rf"(?:^|_)(?:{_UNLESS_AFTER_PAGE}token|bearer|auth)$"
_PASSWORD = rf"(?:^|_)(?:passw(?:or)?d{_GIVEN_AGAIN}|pwd|pass_?phrase){_NUMBER}$|^secret$"
_PARAMETERS = frozenset({"key", "appid", "app_id", "googleaccessid", "assertion", "client_assertion", "code_verifier"})
#: Parameters of sessions, logins and signatures, which hold a credential if their value is long and not a word.
_PARAMETERS_IF_OPAQUE = frozenset(
    {"sid", "sessid", "sessionid", "phpsessid", "jsessionid", "pass", "passcode", "pw", "hmac", "sign"}
)
#: Headers that name the account.
_ACCOUNT_HEADER = (
    r"(?:^|_)(?:organi[sz]ation|org_id|account|account_id|tenant_id|workspace_id|customer_id|user_project"
    r"|openai_project|project_id|organi[sz]ation_id|client_principal(?:_id|_name)?|access_client_(?:id|secret))$"
)
_SNAKE = r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+"

#: Variables, in capitals. The end of a name may follow without an underscore: `PGPASSWORD`, `SECRETKEY`.
_CREDENTIAL_VARIABLE = (
    r"(?:^|_)(?:(?:API_?|APP_?|ACCESS_?|SECRET_?|AUTH_?|PRIVATE_?|ENCRYPTION_?|SIGNING_?)?KEYS?|CREDENTIALS?|CREDS?|AUTH"
    r"|PATS?|PASS|JWT|DSN|BEARER)(?:_|$)"
    r"|(?:^|_)[A-Z0-9]*(?:PASSWORDS?|PASSWD|PWD|PASS_?PHRASE|SECRETS?|TOKEN|APIKEYS?)(?:_|$)"
    r"|(?:API|ACCESS|AUTH|BEARER|REFRESH|SESSION|SECRET)_?TOKENS?(?:_|$)"
)
#: Variables that are named like a credential but do not hold one.
_INNOCENT_VARIABLE = (
    r"(?:^|_)(?:FILE|PATH|DIR|URL|URI|ENDPOINT|HOST|NAME|SOCK|TYPE|MODE|ENABLED|EXPIR\w*|TTL|ID|KEYRING|PROVIDER)$"
    r"|(?:^|_)(?:PUBLIC|CACHE|PRIMARY|FOREIGN|PARTITION|SORT|IDEMPOTENCY|PAGE|NEXT|CONTINUATION|SYNC|MODEL|ROUTING|INDEX)_"
    r"(?:KEY|TOKEN)S?$"
    r"|^(?:PWD|OLDPWD|GPG_KEY|SSH_AUTH_SOCK)$"
)
#: The id of an AWS key is one half of a credential.
_CREDENTIAL_ID = r"ACCESS_?KEY_?ID$"


def snake_case(name: str) -> str:
    """`X-Api-Key` and `xApiKey` as `x_api_key`."""
    return _compiled(_SNAKE).sub("_", name).strip("_").lower()


@functools.lru_cache(maxsize=4096)
def field_kind(name: str) -> FieldKind:
    """Whether a field of this name in a body holds a credential: see `FieldKind`."""
    snake = snake_case(name)
    if _compiled(_PASSWORD).search(snake):
        return "password"
    if _compiled(_CREDENTIAL).search(snake):
        return "always"
    return "token" if _compiled(_TOKEN_IN_BODY).search(snake) else "never"


def is_credential_name(name: str) -> bool:
    """Whether a name means a credential everywhere."""
    return field_kind(name) in ("always", "password")


@functools.lru_cache(maxsize=1024)
def is_credential_header(name: str) -> bool:
    """Whether a header holds a credential, cookies included."""
    snake = snake_case(name)
    return any(_compiled(names).search(snake) for names in (_CREDENTIAL, _CREDENTIAL_OUTSIDE_BODIES, _KEY_HEADER))


@functools.lru_cache(maxsize=1024)
def is_account_header(name: str) -> bool:
    """Whether a header names the account."""
    return _compiled(_ACCOUNT_HEADER).search(snake_case(name)) is not None


@functools.lru_cache(maxsize=1024)
def is_credential_parameter(name: str) -> bool:
    """Whether a parameter of a query or a form holds a credential."""
    snake = snake_case(unquote_plus(name))
    return snake in _PARAMETERS or any(
        _compiled(names).search(snake) for names in (_CREDENTIAL, _CREDENTIAL_OUTSIDE_BODIES)
    )


@functools.lru_cache(maxsize=1024)
def may_be_credential_parameter(name: str) -> bool:
    """Whether a parameter holds a credential if its value looks like one."""
    return snake_case(unquote_plus(name)) in _PARAMETERS_IF_OPAQUE


@functools.lru_cache(maxsize=4096)
def is_credential_variable(name: str) -> bool:
    """Whether an environment variable of this name holds a credential."""
    upper = name.upper()
    if _compiled(_CREDENTIAL_ID).search(upper):
        return True
    return (
        _compiled(_CREDENTIAL_VARIABLE).search(upper) is not None
        and _compiled(_INNOCENT_VARIABLE).search(upper) is None
    )
