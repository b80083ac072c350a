"""A table of the shapes of keys that can be recognised in any text, and the search for them.

The table is our own, because the existing rule sets are made for source code. Of the 222 rules of gitleaks 8, about a
hundred look for a service's name beside a value without a shape; in recorded traffic that blocks ordinary prose. Its
expressions are also written for an engine that never backtracks. detect-secrets knows fewer providers of models than
this table and would have to be installed with the plugin. So each row names the rule of gitleaks that it follows
(https://github.com/gitleaks/gitleaks, config/gitleaks.toml), or has a name of its own if gitleaks has no such rule.

A row is searched for by a text that its keys always begin with, and every repetition is bounded, so that the time grows
only with the length of the text. An example from documentation does not count as a key: see `is_example`.
"""

from __future__ import annotations

import base64
import functools
import re
import string
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence

from pytest_llm_usage.credentials.names import field_kind, is_credential_variable
from pytest_llm_usage.credentials.placeholders import is_example
from pytest_llm_usage.credentials.values import LONG_RUN, looks_random
from pytest_llm_usage.records import Record

__all__ = ["SHAPES", "Shape", "shapes_in", "starts_like_a_key", "without_shapes"]


class Shape(Record):
    """How one kind of key is written.

    Attributes:
        rule: The id of gitleaks' rule, or one of our own that starts with `own-`.
        what: What it is, in words: `an Anthropic key`.
        starts: Texts that keys of this kind begin with; a key begins with one of them.
        rest: A regular expression for what follows; it is compiled when a text has such a beginning. A group named
            `value` is the secret part.
        is_inside_words: Whether it may follow a letter or digit.
        is_long: Whether keys of this kind can be so long that a run of letters is tried only once.
        check: Whether a match of `rest` is a key, if the shape alone does not decide.
        before: How many characters of the key come before the text that it is searched for by.
    """

    rule: str
    what: str
    starts: tuple[str, ...]
    rest: str
    is_inside_words: bool = False
    is_long: bool = False
    check: Callable[[re.Match[str]], bool] | None = None
    before: int = 0


_looks_random = functools.lru_cache(maxsize=256)(looks_random)
#: Most rows are never needed; compiling them all would take as long as the rest of the first replay.
_compiled = functools.cache(re.compile)


def _is_random(found: re.Match[str]) -> bool:
    return _looks_random(found[0])


def _is_random_value(found: re.Match[str]) -> bool:
    return _looks_random(found["value"])


_CHECKS_OF_RANDOM = (_is_random, _is_random_value)
_MAX_NAME_CHARACTERS = 60
#: The name before an assignment, in one word or in two: `OPENAI_API_KEY`, `api key`.
_NAME_CHARACTERS = string.ascii_letters + string.digits + "_-"
_FIRST_OF_TWO = re.compile(r"\b(?:api|access|secret|auth|client|private) $", re.IGNORECASE)
_FIRST_CHARACTERS = 10


def _is_assigned(found: re.Match[str]) -> bool:
    """Whether the name before the value is that of a credential, and the value is no word, path or expression."""
    if not looks_random(found["value"]):
        return False
    before = found.string[max(0, found.start() - _MAX_NAME_CHARACTERS) : found.start("quote")]
    rest = before.rstrip(_NAME_CHARACTERS)
    first = _FIRST_OF_TWO.search(rest[-_FIRST_CHARACTERS:])
    name = (first[0] if first else "") + before[len(rest) :]
    sign = found["sign"].strip()
    if not sign and not name.startswith("--") and not (name.isupper() and "_" in name):
        return False  # Words of a sentence. Only command options and variables in Dockerfiles have no sign either.
    if sign == "," and not found["quote"]:
        return False
    return field_kind(name) != "never" or (name.isupper() and is_credential_variable(name))


_EXAMPLE_PASSWORDS = frozenset(
    (
        "password",
        "passwd",
        "pass",
        "pwd",
        "pw",
        "secret",
        "user",
        "username",
        "admin",
        "root",
        "postgres",
        "mysql",
        "guest",
    )
)
_EXAMPLE_HOST = re.compile(r"(?:localhost|127\.|0\.0\.0\.0|host|hostname|server|db|database|.*\bexample\b).*")


def _is_password_of_url(found: re.Match[str]) -> bool:
    is_shown = found["value"].lower() in _EXAMPLE_PASSWORDS and _EXAMPLE_HOST.fullmatch(found["host"])
    return not is_shown and not (found["value"].isdigit() and len(found["value"]) < 6)


def _is_user_and_password(found: re.Match[str]) -> bool:
    """Whether base64 stands for `user:password`, as basic authentication has it."""
    value = found["value"]
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except ValueError:
        return False
    return ":" in plain and plain.isprintable()


def _is_whole_run(found: re.Match[str]) -> bool:
    """Whether the run ends here and no base64 follows. An expression for this would try each shorter run as well."""
    return re.match("[A-Za-z0-9+=]", found.string[found.end() : found.end() + 1]) is None


#: A kind of key is long if it can have more characters than this.
_LONG = 400


def _shape(
    rule: str,
    what: str,
    starts: str,
    rest: str,
    *,
    inside: bool = False,
    random: bool = False,
    check: Callable[[re.Match[str]], bool] | None = None,
    before: int = 0,
) -> Shape:
    longest = max(map(int, re.findall(r",(\d+)\}", rest)), default=0)
    is_long = longest > _LONG and not inside
    if random:
        check = _is_random_value if "(?P<value>" in rest else _is_random
    return Shape(rule, what, tuple(starts.split()), rest, inside, is_long, check, before)


_WORD = "[A-Za-z0-9_-]"
_BASE64 = "[A-Za-z0-9+/]"
_HEX = "[0-9a-fA-F]"
_END = "(?![A-Za-z0-9])"

SHAPES: tuple[Shape, ...] = (
    # Models, and what stands around them.
    _shape("anthropic-api-key", "an Anthropic key", "sk-ant-", _WORD + "{20,300}", random=True),
    _shape("own-openrouter", "an OpenRouter key", "sk-or-v", r"\d-[A-Za-z0-9]{32,100}"),
    _shape("own-langfuse", "a Langfuse key", "sk-lf- pk-lf-", "[0-9a-f-]{36}"),
    _shape(
        "openai-api-key", "an OpenAI key", "sk-proj- sk-svcacct- sk-admin- sk-None-", _WORD + "{20,300}", random=True
    ),
    _shape("own-openai-session", "an OpenAI session key", "sess-", "[A-Za-z0-9]{40}"),
    _shape("own-openai-ephemeral", "an OpenAI ephemeral key", "ek_", "[0-9a-f]{32,100}"),
    _shape("gcp-api-key", "a Google API key", "AIza", _WORD + "{35}"),
    _shape("own-google-bound", "a Google API key", "AQ.Ab8R", _WORD + "{30,100}"),
    _shape("own-google-access", "a Google access token", "ya29.", "[0-9A-Za-z_.-]{20,2000}"),
    _shape("own-google-refresh", "a Google refresh token", "1//0", _WORD + "{40,200}"),
    _shape("own-google-oauth", "a Google OAuth secret", "GOCSPX-", _WORD + "{28}"),
    _shape("aws-access-token", "an AWS access key id", "AKIA ASIA ABIA ACCA A3T", r"[0-9A-Z]{16,17}(?![0-9A-Za-z])"),
    _shape("aws-amazon-bedrock-api-key-long-lived", "an AWS Bedrock key", "ABSK", _BASE64 + "{60,300}={0,2}"),
    _shape(
        "aws-amazon-bedrock-api-key-short-lived", "an AWS Bedrock key", "bedrock-api-key-", "[A-Za-z0-9+/=]{40,4000}"
    ),
    _shape("own-aws-signature", "an AWS signature", "Signature=", "[0-9a-f]{64}", inside=True),
    _shape("own-azure-account", "an Azure account key", "AccountKey= SharedAccessKey=", _BASE64 + "{40,200}={0,2}"),
    _shape(
        "azure-ad-client-secret",
        "an Azure client secret",
        "0Q~ 1Q~ 2Q~ 3Q~ 4Q~ 5Q~ 6Q~ 7Q~ 8Q~ 9Q~",
        r"(?<=[A-Za-z0-9_~.]{3}\dQ~)[A-Za-z0-9_~.-]{31,34}",
        inside=True,
    ),
    # Azure OpenAI, Cognitive Services, DevOps and others:
    # https://github.com/microsoft/security-utilities, rule SEC101/200 (CommonAnnotatedSecurityKey).
    _shape(
        "own-azure-annotated",
        "an Azure key",
        "JQQJ99 JQQJ9D JQQJ9H",
        r"(?<=[A-Za-z0-9]{52}JQQJ9[9DH])[A-Za-z0-9][A-L][A-Za-z0-9]{16}[A-Za-z][A-Za-z0-9]{7}",
        inside=True,
        before=52,
    ),
    _shape("own-azure-signed-url", "a signed URL", "?sig= &sig= ;sig=", "[A-Za-z0-9%+/]{40,200}", inside=True),
    _shape("own-groq", "a Groq key", "gsk_", "[A-Za-z0-9]{40,100}"),
    _shape("own-xai", "an xAI key", "xai-", "[A-Za-z0-9]{60,120}"),
    _shape("perplexity-api-key", "a Perplexity key", "pplx-", "[A-Za-z0-9]{32,100}"),
    _shape("huggingface-access-token", "a Hugging Face token", "hf_", "[A-Za-z0-9]{30,60}"),
    _shape("huggingface-organization-api-token", "a Hugging Face token", "api_org_", "[A-Za-z0-9]{34}"),
    _shape("own-replicate", "a Replicate token", "r8_", "[A-Za-z0-9]{37}"),
    _shape("own-nvidia", "an NVIDIA key", "nvapi-", _WORD + "{50,100}"),
    _shape("own-together", "a Together key", "tgp_v1_", _WORD + "{40,60}"),
    _shape("own-fireworks", "a Fireworks key", "fw_", "[A-Za-z0-9]{22,60}", random=True),
    _shape("own-cerebras", "a Cerebras key", "csk-", "[A-Za-z0-9]{40,100}"),
    _shape("own-voyage", "a Voyage key", "pa-", _WORD + "{40,60}", random=True),
    _shape("own-elevenlabs", "an ElevenLabs key", "sk_", "[0-9a-f]{48}" + _END),
    _shape("own-anyscale", "an Anyscale key", "esecret_", "[A-Za-z0-9]{20,60}"),
    _shape("own-runpod", "a RunPod key", "rpa_", "[A-Z0-9]{30,60}[A-Za-z0-9]{0,10}"),
    _shape("own-portkey", "a Portkey key", "pk-portkey- pt-portkey-", _WORD + "{20,60}", random=True),
    _shape("own-helicone", "a Helicone key", "sk-helicone- pk-helicone-", _WORD + "{20,80}", random=True),
    _shape("own-wandb", "a Weights & Biases key", "wandb_v1_", "[A-Za-z0-9_]{40,120}"),
    _shape("own-langsmith", "a LangSmith key", "lsv2_", "(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    _shape("own-langsmith", "a LangSmith key", "ls__", "[0-9a-f]{32}"),
    _shape("own-llama-cloud", "a LlamaCloud key", "llx-", "[A-Za-z0-9]{40,60}"),
    _shape("own-braintrust", "a Braintrust key", "sk-bt- bt-st-", "[A-Za-z0-9]{32,64}"),
    _shape("own-tavily", "a Tavily key", "tvly-", "(?:dev-|prod-)?[A-Za-z0-9]{30,60}"),
    _shape("own-jina", "a Jina key", "jina_", "[0-9a-f]{32}[A-Za-z0-9_-]{20,60}"),
    _shape("own-pinecone", "a Pinecone key", "pcsk_", "[A-Za-z0-9_]{40,100}", random=True),
    _shape("own-e2b", "an E2B key", "e2b_ sk_e2b_", "[0-9a-f]{40}"),
    _shape("own-firecrawl", "a Firecrawl key", "fc-", "[0-9a-f]{32}(?![0-9a-f])"),
    _shape("own-composio", "a Composio key", "ak_", "[A-Za-z0-9]{20,40}", random=True),
    _shape("own-apify", "an Apify token", "apify_api_", "[A-Za-z0-9]{30,50}"),
    _shape("own-browserbase", "a Browserbase key", "bb_live_ bb_test_", _WORD + "{24,64}", random=True),
    # Clouds and platforms.
    _shape("databricks-api-token", "a Databricks token", "dapi", "[0-9a-f]{32}"),
    _shape("digitalocean-pat", "a DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", "[a-f0-9]{64}"),
    _shape("own-vercel", "a Vercel token", "vcp_ vci_ vca_ vcr_ vck_", "[A-Za-z0-9]{24,64}", random=True),
    _shape("own-vercel-blob", "a Vercel token", "vercel_blob_rw_", "[A-Za-z0-9_]{30,80}"),
    _shape("own-docker", "a Docker token", "dckr_pat_ dckr_oat_", _WORD + "{20,60}"),
    _shape("own-cloudflare", "a Cloudflare token", "cfut_ cfat_ cfk_", "[A-Za-z0-9]{40,60}"),
    _shape("cloudflare-origin-ca-key", "a Cloudflare key", "v1.0-", "[a-f0-9]{24}-[a-f0-9]{146}"),
    _shape("flyio-access-token", "a Fly.io token", "fo1_ fm1r_ fm1a_ fm2_", "[A-Za-z0-9+/_-]{40,2000}={0,3}"),
    _shape("heroku-api-key-v2", "a Heroku key", "HRKU-AA HRKU-", _WORD + "{36,70}"),
    _shape("own-render", "a Render key", "rnd_", "[A-Za-z0-9]{28,40}", random=True),
    _shape("own-netlify", "a Netlify token", "nfp_ nfc_ nfo_ nfu_", "[A-Za-z0-9]{36,40}"),
    _shape("own-supabase", "a Supabase key", "sbp_", "(?:oauth_)?[a-f0-9]{40}"),
    _shape("own-supabase", "a Supabase key", "sb_secret_", _WORD + "{20,60}"),
    _shape("planetscale-api-token", "a PlanetScale token", "pscale_tkn_ pscale_oauth_ pscale_pw_", r"[\w=.-]{32,64}"),
    _shape("own-neon", "a Neon key", "napi_", "[a-z0-9]{60,70}"),
    _shape("alibaba-access-key-id", "an Alibaba key id", "LTAI", "[A-Za-z0-9]{12,24}(?![A-Za-z0-9])", random=True),
    _shape("own-tencent", "a Tencent key id", "AKID", "[A-Za-z0-9]{32}(?![A-Za-z0-9])"),
    _shape(
        "yandex-aws-access-token",
        "a Yandex key",
        "YCAJ AQVN YCN YCM",
        "[A-Za-z0-9_-]{20,40}(?![A-Za-z0-9])",
        random=True,
    ),
    _shape(
        "hashicorp-tf-api-token",
        "a Terraform token",
        ".atlasv1.",
        r"(?<=[A-Za-z0-9]{14}\.atlasv1\.)[A-Za-z0-9_=-]{60,70}",
        inside=True,
    ),
    _shape("vault-service-token", "a Vault token", "hvs.", _WORD + "{24,300}", random=True),
    _shape("vault-service-token", "a Vault token", "s.", r"[A-Za-z0-9]{24}(?!\.?[A-Za-z0-9_-])", random=True),
    _shape("vault-batch-token", "a Vault token", "hvb. hvr.", _WORD + "{24,300}", random=True),
    _shape("pulumi-api-token", "a Pulumi token", "pul-", "[a-f0-9]{40}"),
    _shape("doppler-api-token", "a Doppler token", "dp.pt. dp.st. dp.ct. dp.sa.", "[A-Za-z0-9._-]{40,80}"),
    _shape("prefect-api-token", "a Prefect key", "pnu_ pnb_", "[A-Za-z0-9]{36}"),
    _shape("openshift-user-token", "an OpenShift token", "sha256~", _WORD + "{43}"),
    _shape("harness-api-key", "a Harness key", "pat. sat.", "[A-Za-z0-9_-]{22}[.][A-Za-z0-9]{24}[.][A-Za-z0-9]{20}"),
    _shape("scalingo-api-token", "a Scalingo token", "tk-us-", _WORD + "{48}"),
    _shape("octopus-deploy-api-key", "an Octopus key", "API-", "[A-Z0-9]{26}(?![A-Za-z0-9])", random=True),
    _shape(
        "clickhouse-cloud-api-secret-key", "a ClickHouse key", "4b1d", "[A-Za-z0-9]{38}(?![A-Za-z0-9])", random=True
    ),
    # Code, packages, secrets of teams.
    _shape("github-pat", "a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", "[A-Za-z0-9]{36,255}"),
    _shape("github-fine-grained-pat", "a GitHub token", "github_pat_", "[A-Za-z0-9_]{60,100}"),
    _shape(
        "gitlab-pat",
        "a GitLab token",
        "glpat- gldt- glrt- glft- glptt- glsoat- glimt- glagent- gloas- glffct- GR1348941",
        "[A-Za-z0-9_.-]{20,320}",
    ),
    _shape("gitlab-cicd-job-token", "a GitLab token", "glcbt-", "[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20}"),
    _shape("own-bitbucket", "an Atlassian token", "ATATT3 ATCTT3 ATBB", "[A-Za-z0-9_=-]{24,250}"),
    _shape("npm-access-token", "an npm token", "npm_", "[A-Za-z0-9]{36}"),
    _shape(
        "pypi-upload-token", "a PyPI token", "pypi-AgEIcHlwaS5vcmc pypi-AgENdGVzdC5weXBpLm9yZw", _WORD + "{50,1000}"
    ),
    _shape("rubygems-api-token", "a RubyGems key", "rubygems_", "[a-f0-9]{48}"),
    _shape("own-crates", "a crates.io token", "cio", "[A-Za-z0-9]{32}(?![A-Za-z0-9])", random=True),
    _shape("clojars-api-token", "a Clojars token", "CLOJARS_", "[A-Za-z0-9]{60}"),
    _shape("own-nuget", "a NuGet key", "oy2", "[a-z0-9]{43}(?![A-Za-z0-9])", random=True),
    _shape("artifactory-api-key", "an Artifactory key", "AKCp cmVmd", "[A-Za-z0-9]{59,69}(?![A-Za-z0-9])"),
    _shape("1password-service-account-token", "a 1Password token", "ops_eyJ", "[A-Za-z0-9+/_-]{60,4000}={0,3}"),
    _shape(
        "1password-secret-key",
        "a 1Password key",
        "A3-",
        "[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}",
    ),
    _shape("age-secret-key", "an age key", "AGE-SECRET-KEY-1", "[0-9A-Z]{58}"),
    _shape("postman-api-token", "a Postman key", "PMAK-", "[a-f0-9]{24}-[a-f0-9]{34}"),
    _shape("linear-api-key", "a Linear key", "lin_api_ lin_oauth_", "[A-Za-z0-9]{40,64}"),
    _shape("notion-api-token", "a Notion token", "ntn_", "[A-Za-z0-9]{40,60}"),
    _shape("own-notion", "a Notion token", "secret_", "[A-Za-z0-9]{43}(?![A-Za-z0-9])", random=True),
    _shape("airtable-personnal-access-token", "an Airtable token", "pat", r"[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    _shape("grafana-service-account-token", "a Grafana token", "glsa_", "[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    _shape("grafana-cloud-api-token", "a Grafana token", "glc_", _BASE64 + "{32,400}={0,3}"),
    _shape("grafana-api-key", "a Grafana key", "eyJrIjoi", "[A-Za-z0-9]{70,400}={0,3}"),
    _shape("sentry-user-token", "a Sentry token", "sntryu_", "[a-f0-9]{64}"),
    _shape("sentry-org-token", "a Sentry token", "sntrys_", "[A-Za-z0-9+/=_-]{40,500}"),
    _shape("new-relic-user-api-key", "a New Relic key", "NRAK- NRII- NRJS- NRAL-", "[A-Za-z0-9_-]{19,40}", random=True),
    _shape("own-newrelic-license", "a New Relic key", "eu01xx us01xx", "[A-Za-z0-9]{30,40}NRAL"),
    _shape("dynatrace-api-token", "a Dynatrace token", "dt0c01. dt0s01. dt0s16.", r"[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}"),
    _shape("own-posthog", "a PostHog key", "phx_ phs_", "[A-Za-z0-9]{40,60}"),
    _shape(
        "own-launchdarkly",
        "a LaunchDarkly key",
        "sdk- mob-",
        f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}{_END}",
    ),
    _shape("snyk-api-token", "a Snyk token", "snyk_uat. snyk_sat.", "[A-Za-z0-9._-]{40,200}"),
    _shape("sonar-api-token", "a Sonar token", "squ_ sqp_ sqa_", "[A-Za-z0-9]{40}"),
    _shape("sourcegraph-access-token", "a Sourcegraph token", "sgp_", "(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}"),
    _shape("readme-api-token", "a ReadMe key", "rdme_", "[a-z0-9]{70}"),
    _shape("infracost-api-token", "an Infracost key", "ico-", "[A-Za-z0-9]{32}"),
    _shape("own-contentful", "a Contentful token", "CFPAT-", _WORD + "{40,60}"),
    _shape("own-figma", "a Figma token", "figd_ figu_", _WORD + "{38,60}"),
    _shape("typeform-api-token", "a Typeform token", "tfp_", "[A-Za-z0-9_.=-]{40,70}"),
    _shape("adobe-client-secret", "an Adobe secret", "p8e-", "[a-z0-9]{32}" + _END, random=True),
    _shape(
        "authress-service-client-access-key",
        "an Authress key",
        "sc_ ext_ scauth_ authress_",
        r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.(?:acc)[_-][A-Za-z0-9-]{10,32}\.[A-Za-z0-9+/_=-]{30,120}",
    ),
    _shape("frameio-api-token", "a Frame.io token", "fio-u-", "[A-Za-z0-9_=-]{64}"),
    _shape("gitlab-session-cookie", "a GitLab session", "_gitlab_session=", "[0-9a-z]{32}"),
    _shape("intra42-client-secret", "an Intra 42 secret", "s-s4t2ud- s-s4t2af-", "[a-fA-F0-9]{64}"),
    _shape(
        "maxmind-license-key",
        "a MaxMind key",
        "_mmk",
        r"(?<=[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk)" + _END,
        inside=True,
        before=36,
    ),
    _shape(
        "settlemint-application-access-token", "a SettleMint token", "sm_aat_ sm_pat_ sm_sat_", "[A-Za-z0-9]{16}" + _END
    ),
    # Messages, mail, payment.
    _shape(
        "slack-bot-token",
        "a Slack token",
        "xoxa- xoxb- xoxe- xoxo- xoxp- xoxr- xoxs- xoxc- xoxd- xoxe.xoxb- xoxe.xoxp-",
        "[A-Za-z0-9%-]{8,250}",
    ),
    _shape("slack-app-token", "a Slack token", "xapp-", r"\d-[A-Za-z0-9]{1,30}-\d{1,20}-[A-Za-z0-9]{10,100}"),
    _shape(
        "slack-webhook-url",
        "a Slack webhook",
        "hooks.slack.com/",
        "(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,100}",
    ),
    _shape(
        "own-discord-webhook",
        "a Discord webhook",
        "discord.com/api/ discordapp.com/api/",
        r"(?:v\d{1,2}/)?webhooks/\d{15,22}/[A-Za-z0-9_-]{50,90}",
    ),
    _shape(
        "microsoft-teams-webhook",
        "a Teams webhook",
        ".webhook.office.com/",
        "webhookb2/[A-Za-z0-9@/-]{60,250}",
        inside=True,
    ),
    _shape(
        "telegram-bot-api-token",
        "a Telegram token",
        ":AA",
        r"(?<=\d{8}:AA)[A-Za-z0-9_-]{32,34}(?![A-Za-z0-9])",
        inside=True,
    ),
    _shape("twilio-api-key", "a Twilio key", "SK", "[0-9a-fA-F]{32}(?![0-9a-zA-Z])"),
    _shape("sendgrid-api-token", "a SendGrid key", "SG.", r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}", random=True),
    _shape("sendinblue-api-token", "a Brevo key", "xkeysib- xsmtpsib-", "[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    _shape("mailgun-private-api-token", "a Mailgun key", "key-", "[a-f0-9]{32}(?![0-9a-zA-Z])"),
    _shape(
        "mailchimp-api-key",
        "a Mailchimp key",
        "-us",
        r"(?<=(?<![0-9a-f])[0-9a-f]{32}-us)\d{1,2}(?![0-9])",
        inside=True,
        before=32,
    ),
    _shape("own-resend", "a Resend key", "re_", "[A-Za-z0-9]{8}_[A-Za-z0-9]{20,30}", random=True),
    _shape("own-mapbox", "a Mapbox token", "sk.eyJ", r"[A-Za-z0-9_-]{20,300}\.[A-Za-z0-9_-]{20,60}"),
    _shape(
        "stripe-access-token",
        "a Stripe key",
        "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_",
        "[A-Za-z0-9]{16,120}",
    ),
    _shape("own-webhook-secret", "a webhook secret", "whsec_", "[A-Za-z0-9+/]{24,100}={0,2}"),
    _shape("square-access-token", "a Square token", "sq0atp- sq0csp-", _WORD + "{22,70}", random=True),
    # Base64 may begin alike, but it goes on; in a URL, the next part of the path may follow a key.
    _shape(
        "square-access-token",
        "a Square token",
        "EAAA",
        _WORD + "{54,60}(?![A-Za-z0-9_+=-])(?!/[A-Za-z0-9+/]{20})",
        random=True,
    ),
    _shape(
        "own-paypal",
        "a Braintree token",
        "access_token$production$ access_token$sandbox$",
        "[a-z0-9]{16}[$][a-f0-9]{32}",
    ),
    _shape("shopify-access-token", "a Shopify token", "shpat_ shpca_ shppa_ shpss_", "[a-fA-F0-9]{32}"),
    _shape("shippo-api-token", "a Shippo token", "shippo_live_ shippo_test_", "[a-fA-F0-9]{40}"),
    _shape("easypost-api-token", "an EasyPost key", "EZAK EZTK", "[A-Za-z0-9]{54}"),
    _shape("duffel-api-token", "a Duffel token", "duffel_live_ duffel_test_", "[A-Za-z0-9_=-]{43}"),
    _shape(
        "flutterwave-secret-key",
        "a Flutterwave key",
        "FLWSECK_TEST- FLWSECK- FLWPUBK_TEST-",
        "[A-Za-h0-9]{12,32}",
        random=True,
    ),
    _shape(
        "facebook-access-token",
        "a Meta token",
        "| %7C",
        r"(?:(?<=\d{15}\|)|(?<=\d{15}%7C))[A-Za-z0-9_-]{27,40}(?![A-Za-z0-9_-])",
        inside=True,
        random=True,
    ),
    _shape(
        "facebook-page-access-token", "a Meta token", "EAAM EAAC EAAB EAAG", "[A-Za-z0-9]{80,400}", check=_is_whole_run
    ),
    # Keys and tokens of any service.
    _shape("openai-api-key", "an API key", "sk-", "[A-Za-z0-9]{32,120}", random=True),
    _shape("own-litellm", "a LiteLLM key", "sk-", _WORD + "{20,120}", random=True),
    _shape(
        "jwt", "a JSON web token", "eyJ", r"[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{10,2000}"
    ),
    _shape(
        "own-jwe",
        "an encrypted web token",
        "eyJ",
        r"[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{0,1000}(?:\.[A-Za-z0-9_-]{8,4000}){3}",
    ),
    _shape(
        "private-key",
        "a private key",
        "-----BEGIN",
        r"[ A-Z0-9_-]{0,60}PRIVATE KEY(?: BLOCK)?-----[^-]{0,20000}(?:-----END[ A-Z0-9_-]{0,60}-----)?",
        inside=True,
    ),
    _shape("private-key", "a private key", "PuTTY-User-Key-File-", r"\d: [^\0]{20,3000}"),
    _shape(
        "curl-auth-header",
        "a bearer token",
        "Bearer bearer BEARER",
        r"(?: |%20|\+)(?P<value>[A-Za-z0-9._~+/-]{16,4000}={0,2})",
        random=True,
    ),
    _shape(
        "curl-auth-header",
        "a user's password",
        "Basic basic BASIC",
        "(?: |%20|\\+)(?P<value>[A-Za-z0-9+/]{8,1000}={0,2})",
        check=_is_user_and_password,
    ),
    _shape(
        "own-url-password",
        "a password in a URL",
        "://",
        r"""[^\s/:@"'<>\\?#]{0,64}:(?P<value>[^\s/:@"'<>\\{$?#]{2,200})@(?P<host>[A-Za-z0-9\[][A-Za-z0-9.-]{0,100})""",
        inside=True,
        check=_is_password_of_url,
    ),
    # An assignment in a settings file, a shell, source code or XML, an option of a command, a header's line, and a
    # sentence with a key.
    _shape(
        "generic-api-key",
        "a key with its name",
        "KEY TOKEN SECRET PASSWORD PASSWD PASSPHRASE Key Token Secret Password key token secret password passwd passphrase"
        " Authorization authorization",
        r"""[sS]?(?P<quote>\\{0,3}["'`]?\]?)"""
        r"""(?P<sign>[ \t]{0,3}(?:=>|:=|==?|:|,| is)[ \t]{0,3}|>|[\s,]{1,20}["']?value["']?[ \t]?[=:][ \t]?|[ \t])"""
        r"""\\{0,3}["'`]?(?:(?:[Bb]earer|[Bb]asic|[Tt]oken|[Aa]pi-?[Kk]ey) )?(?P<value>[A-Za-z0-9+/_.~-]{16,200}={0,2})""",
        inside=True,
        check=_is_assigned,
    ),
)


def _starts(shapes: Sequence[Shape]) -> list[tuple[str, int]]:
    """The beginnings of keys, each with the number of its shape, in the order of the shapes."""
    return [(start, number) for number, shape in enumerate(shapes) for start in shape.starts]


_STARTS = _starts(SHAPES)
_ANY_START = tuple(dict.fromkeys(start for start, _ in _STARTS))

_RUN = re.compile(r"[A-Za-z0-9_-]*")
_LONG_TEXT = 10_000
#: How many characters before a key are looked at.
_BEFORE = 48
#: The letters of escapes of JSON or of source code; they are not part of a word.
_ESCAPE_LETTERS = "abfnrtv0"
_ESCAPE_BEFORE = re.compile(
    r"\\(?:[abfnrtv0]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})$|%[0-9a-fA-F]{2}$"
    # Codes for a terminal's colours: as they are, as source code and JSON write them, and as a log without control
    # characters keeps them.
    r"|(?:\x1b|\x9b|\\(?:e|033|x1b|u001b|x9b)|\[)\[?[0-9;]{0,16}m$",
    re.IGNORECASE,
)
_ESCAPE_MARK = re.compile(r"[\\%\x1b\x9b\[]")
#: The length of the longest of them.
_ESCAPE_CHARACTERS = 24


def shapes_in(text: str, shapes: Sequence[Shape] = SHAPES) -> list[tuple[Shape, int, int]]:
    """The keys in a text: the shape of each, and start and end of its secret part. The first shape that fits counts."""
    found: list[tuple[Shape, int, int]] = []
    taken: list[tuple[int, int]] = []
    # This runs for each line of a body, and most lines have no beginning of a key.
    starts = _STARTS if shapes is SHAPES else _starts(shapes)
    if len(text) > _LONG_TEXT:
        # Each search in vain reads the whole text. A repetitive text has few different characters, so that most starts
        # can be ruled out.
        characters = set(text)
        starts = [(start, number) for start, number in starts if characters.issuperset(start)]
    for number in dict.fromkeys(number for start, number in starts if start in text):
        shape = shapes[number]
        for place in _places(shape, text):
            index = bisect(taken, place)
            if not any(place[0] < end and begin < place[1] for begin, end in taken[max(0, index - 1) : index + 1]):
                taken.insert(index, place)
                found.append((shape, *place))
    return found


def starts_like_a_key(text: str) -> bool:
    """Whether a text starts like a key of some shape; it need not be one."""
    return text.startswith(_ANY_START)


def without_shapes(text: str, replacement: Callable[[str], str]) -> str:
    """The text with the secret part of each key in it replaced."""
    pieces, done = [], 0
    for begin, end in sorted((begin, end) for _, begin, end in shapes_in(text)):
        pieces += [text[done:begin], replacement(text[begin:end])]
        done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _places(shape: Shape, text: str) -> Iterator[tuple[int, int]]:
    match = _compiled(shape.rest).match
    for start in shape.starts:
        position, length = text.find(start), len(start)
        if position >= 0 and shape.check in _CHECKS_OF_RANDOM and LONG_RUN.search(text, position) is None:
            continue  # Nothing there is random.
        behind_anything = shape.is_inside_words
        if position >= 0 and not behind_anything and len(text) > _LONG_TEXT:
            position = _next_beginning(start, text, position)
        while position >= 0:
            # Most texts that begin like a key do not go on like one, and a text may have a million such beginnings.
            found = match(text, position + length)
            if found is not None and not behind_anything and not _may_begin(text, position):
                found = None
            place = None if found is None else _place(shape, found, position)
            if place is not None:
                yield place
                position = place[1]
            elif shape.is_long and (run := _RUN.match(text, position)) is not None:
                # Trying a run from each of its places would take time that grows with its square.
                position = max(position + 1, run.end())
            else:
                position += 1
            if behind_anything or len(text) <= _LONG_TEXT:
                position = text.find(start, position)
            else:
                position = _next_beginning(start, text, position)


def _next_beginning(start: str, text: str, position: int) -> int:
    """The next position of a start that may begin a key (see `_may_begin`), -1 for none.

    This is for long texts, whose words may hold the start a million times.
    """
    found = _beginning(start).search(text, position)
    return -1 if found is None else found.start()


@functools.lru_cache(maxsize=1024)
def _beginning(start: str) -> re.Pattern[str]:
    """The start, not within a word, or after the end of an escape. What comes before it is checked last."""
    text = re.escape(start)
    before = (
        "[^A-Za-z0-9]",
        "^",
        r"\\[abfnrtv0ABFNRTV]",
        r"\\x[0-9a-fA-F]{2}",
        "[0-9a-fA-F]{4}",
        "%[0-9a-fA-F]{2}",
        "[mM]",
    )
    return re.compile(f"{text}(?:{'|'.join(f'(?<={each}{text})' for each in before)})")


def _may_begin(text: str, position: int) -> bool:
    """Whether a key may begin at this position: not within a word, unless an escape comes right before it."""
    before = text[position - 1] if position else " "
    if before == "\\":
        return text[position] not in _ESCAPE_LETTERS
    if not (before.isascii() and before.isalnum()):
        return True
    window = text[max(0, position - _ESCAPE_CHARACTERS) : position]
    # All escapes begin with one of these marks. The full expression takes longer to find that there is no escape.
    return _ESCAPE_MARK.search(window) is not None and _ESCAPE_BEFORE.search(window) is not None


def _place(shape: Shape, found: re.Match[str], position: int) -> tuple[int, int] | None:
    """The start and end of the secret part of a key that starts at `position`; None if it is not a key."""
    text = found.string
    # In the middle of URL-safe base64, three letters and a mark occur by accident.
    if (
        position
        and not shape.is_inside_words
        and text[position - 1] in "_-"
        and _looks_random(text[max(0, position - _BEFORE) : position])
    ):
        return None
    if shape.check is not None and not shape.check(found):
        return None
    begin, stop = found.span("value") if "value" in found.re.groupindex else (position - shape.before, found.end())
    return None if is_example(text[begin:stop]) else (begin, stop)
