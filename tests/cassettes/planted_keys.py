"""One made-up key of each known shape, by its prefix, and texts that only look like one. None was ever a key."""

import base64
import json
import random
import string

HEX = "0123456789abcdef"
ALNUM = string.ascii_letters + string.digits
WORD = ALNUM + "_-"
UPPER = string.ascii_uppercase + string.digits
LOWER = string.ascii_lowercase + string.digits


def made_up(count, alphabet=ALNUM):
    """Characters that look like a key's, the same in every run."""
    source = random.Random(f"{count} {alphabet}")
    # Starts and ends with a letter or digit, as a mark at an end would not be taken for a part of the key.
    inner = "".join(source.choice(alphabet) for _ in range(count - 4))
    safe = "".join(c for c in alphabet if c.isalnum())
    edge = [source.choice(safe) for _ in range(4)]
    return f"{edge[0]}{edge[1]}{inner}{edge[2]}{edge[3]}"


def hexa(count):
    return made_up(count, HEX)


def words(count):
    return made_up(count, WORD)


def upper(count):
    return made_up(count, UPPER)


def lower(count):
    return made_up(count, LOWER)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def jwt_part(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


JWT = f"{jwt_part(json.dumps({'alg': 'HS256'}))}.{jwt_part(json.dumps({'sub': 'user-4711'}))}.{words(43)}"
JWE = f"{jwt_part(json.dumps({'alg': 'RSA-OAEP', 'enc': 'A256GCM'}))}.{words(80)}.{words(16)}.{words(40)}.{words(22)}"
UUID = f"{hexa(8)}-{hexa(4)}-{hexa(4)}-{hexa(4)}-{hexa(12)}"

#: By the first prefix of a shape, and its rule: what follows the prefix, or a pair of what comes before and after it.
TAILS = {
    ("sk-ant-", "anthropic-api-key"): "api03-" + words(93) + "AA",
    ("sk-or-v", "own-openrouter"): "1-" + hexa(64),
    ("sk-lf-", "own-langfuse"): UUID,
    ("sk-proj-", "openai-api-key"): words(74) + "T3BlbkFJ" + words(74),
    ("sk-", "openai-api-key"): made_up(48),
    ("sk-", "own-litellm"): words(22),
    ("sess-", "own-openai-session"): made_up(40),
    ("ek_", "own-openai-ephemeral"): hexa(32),
    ("AIza", "gcp-api-key"): words(35),
    ("AQ.Ab8R", "own-google-bound"): words(46),
    ("ya29.", "own-google-access"): words(120),
    ("1//0", "own-google-refresh"): words(60),
    ("GOCSPX-", "own-google-oauth"): words(28),
    ("AKIA", "aws-access-token"): upper(16),
    ("ABSK", "aws-amazon-bedrock-api-key-long-lived"): made_up(128),
    ("bedrock-api-key-", "aws-amazon-bedrock-api-key-short-lived"): "YmVkcm9jay5hbWF6b25hd3MuY29t" + made_up(120),
    ("Signature=", "own-aws-signature"): hexa(64),
    ("AccountKey=", "own-azure-account"): made_up(86) + "==",
    ("0Q~", "azure-ad-client-secret"): ("aB3", words(34)),
    ("JQQJ99", "own-azure-annotated"): (made_up(52), f"BG{made_up(16)}x{made_up(7)}"),
    ("?sig=", "own-azure-signed-url"): made_up(43) + "%3D",
    ("gsk_", "own-groq"): made_up(52),
    ("xai-", "own-xai"): made_up(80),
    ("pplx-", "perplexity-api-key"): made_up(48),
    ("hf_", "huggingface-access-token"): made_up(34),
    ("api_org_", "huggingface-organization-api-token"): made_up(34),
    ("r8_", "own-replicate"): made_up(37),
    ("nvapi-", "own-nvidia"): words(64),
    ("tgp_v1_", "own-together"): words(43),
    ("fw_", "own-fireworks"): made_up(22),
    ("csk-", "own-cerebras"): lower(48),
    ("pa-", "own-voyage"): words(43),
    ("sk_", "own-elevenlabs"): hexa(48),
    ("esecret_", "own-anyscale"): made_up(26),
    ("rpa_", "own-runpod"): upper(40),
    ("pk-portkey-", "own-portkey"): made_up(32),
    ("sk-helicone-", "own-helicone"): made_up(28),
    ("wandb_v1_", "own-wandb"): made_up(60),
    ("lsv2_", "own-langsmith"): f"pt_{hexa(32)}_{hexa(10)}",
    ("ls__", "own-langsmith"): hexa(32),
    ("llx-", "own-llama-cloud"): made_up(48),
    ("sk-bt-", "own-braintrust"): hexa(32),
    ("tvly-", "own-tavily"): "dev-" + made_up(32),
    ("jina_", "own-jina"): hexa(32) + words(28),
    ("pcsk_", "own-pinecone"): made_up(69),
    ("e2b_", "own-e2b"): hexa(40),
    ("fc-", "own-firecrawl"): hexa(32),
    ("ak_", "own-composio"): made_up(20),
    ("apify_api_", "own-apify"): made_up(36),
    ("bb_live_", "own-browserbase"): words(27),
    ("dapi", "databricks-api-token"): hexa(32),
    ("dop_v1_", "digitalocean-pat"): hexa(64),
    ("vcp_", "own-vercel"): made_up(56),
    ("vercel_blob_rw_", "own-vercel-blob"): made_up(47),
    ("dckr_pat_", "own-docker"): words(27),
    ("cfut_", "own-cloudflare"): made_up(48),
    ("v1.0-", "cloudflare-origin-ca-key"): f"{hexa(24)}-{hexa(146)}",
    ("fo1_", "flyio-access-token"): words(43),
    ("HRKU-AA", "heroku-api-key-v2"): words(58),
    ("rnd_", "own-render"): made_up(28),
    ("nfp_", "own-netlify"): made_up(36),
    ("sbp_", "own-supabase"): hexa(40),
    ("sb_secret_", "own-supabase"): words(31),
    ("pscale_tkn_", "planetscale-api-token"): words(43),
    ("napi_", "own-neon"): lower(64),
    ("LTAI", "alibaba-access-key-id"): made_up(20),
    ("AKID", "own-tencent"): made_up(32),
    ("YCAJ", "yandex-aws-access-token"): words(36),
    (".atlasv1.", "hashicorp-tf-api-token"): (made_up(14), words(65)),
    ("hvs.", "vault-service-token"): words(95),
    ("s.", "vault-service-token"): made_up(24),
    ("hvb.", "vault-batch-token"): words(140),
    ("pul-", "pulumi-api-token"): hexa(40),
    ("dp.pt.", "doppler-api-token"): made_up(43),
    ("pnu_", "prefect-api-token"): made_up(36),
    ("sha256~", "openshift-user-token"): words(43),
    ("pat.", "harness-api-key"): f"{words(22)}.{made_up(24)}.{made_up(20)}",
    ("tk-us-", "scalingo-api-token"): words(48),
    ("API-", "octopus-deploy-api-key"): upper(26),
    ("4b1d", "clickhouse-cloud-api-secret-key"): made_up(38),
    ("ghp_", "github-pat"): made_up(36),
    ("github_pat_", "github-fine-grained-pat"): f"{made_up(22)}_{made_up(59)}",
    ("glpat-", "gitlab-pat"): words(40),
    ("glcbt-", "gitlab-cicd-job-token"): f"64_{words(20)}",
    ("ATATT3", "own-bitbucket"): words(180),
    ("npm_", "npm-access-token"): made_up(36),
    ("pypi-AgEIcHlwaS5vcmc", "pypi-upload-token"): words(100),
    ("rubygems_", "rubygems-api-token"): hexa(48),
    ("cio", "own-crates"): made_up(32),
    ("CLOJARS_", "clojars-api-token"): lower(60),
    ("oy2", "own-nuget"): lower(43),
    ("AKCp", "artifactory-api-key"): made_up(69),
    ("ops_eyJ", "1password-service-account-token"): made_up(300),
    ("A3-", "1password-secret-key"): f"{upper(6)}-{upper(11)}-{upper(5)}-{upper(5)}-{upper(5)}",
    ("AGE-SECRET-KEY-1", "age-secret-key"): upper(58),
    ("PMAK-", "postman-api-token"): f"{hexa(24)}-{hexa(34)}",
    ("lin_api_", "linear-api-key"): made_up(40),
    ("ntn_", "notion-api-token"): made_up(46),
    ("secret_", "own-notion"): made_up(43),
    ("pat", "airtable-personnal-access-token"): f"{made_up(14)}.{hexa(64)}",
    ("glsa_", "grafana-service-account-token"): f"{made_up(32)}_{hexa(8)}",
    ("glc_", "grafana-cloud-api-token"): made_up(100),
    ("eyJrIjoi", "grafana-api-key"): made_up(90),
    ("sntryu_", "sentry-user-token"): hexa(64),
    ("sntrys_", "sentry-org-token"): made_up(120),
    ("NRAK-", "new-relic-user-api-key"): upper(27),
    ("eu01xx", "own-newrelic-license"): hexa(30) + "NRAL",
    ("dt0c01.", "dynatrace-api-token"): f"{upper(24)}.{upper(64)}",
    ("phx_", "own-posthog"): made_up(43),
    ("sdk-", "own-launchdarkly"): UUID,
    ("snyk_uat.", "snyk-api-token"): f"{hexa(8)}.{words(80)}",
    ("squ_", "sonar-api-token"): hexa(40),
    ("sgp_", "sourcegraph-access-token"): f"{hexa(16)}_{hexa(40)}",
    ("rdme_", "readme-api-token"): lower(70),
    ("ico-", "infracost-api-token"): made_up(32),
    ("CFPAT-", "own-contentful"): words(43),
    ("figd_", "own-figma"): words(40),
    ("tfp_", "typeform-api-token"): made_up(59),
    ("p8e-", "adobe-client-secret"): lower(32),
    ("sc_", "authress-service-client-access-key"): f"{lower(12)}.{lower(5)}.acc_{lower(16)}.{made_up(60)}",
    ("fio-u-", "frameio-api-token"): words(64),
    ("_gitlab_session=", "gitlab-session-cookie"): lower(32),
    ("s-s4t2ud-", "intra42-client-secret"): hexa(64),
    ("_mmk", "maxmind-license-key"): (f"{made_up(6)}_{made_up(29)}", ""),
    ("sm_aat_", "settlemint-application-access-token"): made_up(16),
    ("xoxa-", "slack-bot-token"): f"4711471147-4711471147-{made_up(24)}",
    ("xapp-", "slack-app-token"): f"1-{upper(11)}-4711471147-{hexa(64)}",
    ("hooks.slack.com/", "slack-webhook-url"): f"services/{upper(9)}/{upper(11)}/{made_up(24)}",
    ("discord.com/api/", "own-discord-webhook"): f"webhooks/471147114711471147/{words(68)}",
    (".webhook.office.com/", "microsoft-teams-webhook"): f"webhookb2/{UUID}@{UUID}/IncomingWebhook/{hexa(32)}/{UUID}",
    (":AA", "telegram-bot-api-token"): ("4711471147", words(33)),
    ("SK", "twilio-api-key"): hexa(32),
    ("SG.", "sendgrid-api-token"): f"{words(22)}.{words(43)}",
    ("xkeysib-", "sendinblue-api-token"): f"{hexa(64)}-{made_up(16)}",
    ("key-", "mailgun-private-api-token"): hexa(32),
    ("-us", "mailchimp-api-key"): (hexa(32), "12"),
    ("re_", "own-resend"): f"{made_up(8)}_{made_up(24)}",
    ("sk.eyJ", "own-mapbox"): f"{made_up(80)}.{words(22)}",
    ("sk_live_", "stripe-access-token"): made_up(24),
    ("whsec_", "own-webhook-secret"): made_up(32),
    ("sq0atp-", "square-access-token"): words(22),
    ("EAAA", "square-access-token"): words(60),
    ("|", "facebook-access-token"): ("471147114711471", words(27)),
    ("access_token$production$", "own-paypal"): f"{lower(16)}${hexa(32)}",
    ("shpat_", "shopify-access-token"): hexa(32),
    ("shippo_live_", "shippo-api-token"): hexa(40),
    ("EZAK", "easypost-api-token"): made_up(54),
    ("duffel_live_", "duffel-api-token"): words(43),
    ("FLWSECK_TEST-", "flutterwave-secret-key"): hexa(32),
    ("EAAM", "facebook-page-access-token"): made_up(150),
    ("eyJ", "jwt"): JWT[3:],
    ("eyJ", "own-jwe"): JWE[3:],
    (
        "-----BEGIN",
        "private-key",
    ): f" RSA PRIVATE KEY-----\n{made_up(64)}\n{made_up(40)}\n-----END RSA PRIVATE KEY-----",
    (
        "PuTTY-User-Key-File-",
        "private-key",
    ): f"3: ssh-ed25519\nPrivate-Lines: 1\n{made_up(48)}\nPrivate-MAC: {hexa(64)}",
    ("Bearer", "curl-auth-header"): f" {made_up(40)}",
    ("Basic", "curl-auth-header"): " " + base64.b64encode(b"maria:pa55word-x9").decode(),
    ("://", "own-url-password"): ("redis", ":pa55word-x9@cache.internal:6379/0"),
    ("KEY", "generic-api-key"): ("WANDB_API_", f"={hexa(40)}"),
}


def keys():
    """Each made-up key with the rule that finds it, for each text that its kind begins with."""
    from pytest_llm_usage.credentials.shapes import SHAPES

    for shape in SHAPES:
        tail = TAILS[shape.starts[0], shape.rule]
        before, tail = tail if isinstance(tail, tuple) else ("", tail)
        for start in shape.starts:
            yield shape, before + start + tail


#: Texts that are not keys, and must be neither touched nor refused.
ALIKE = [
    # What documentation shows.
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "postgres://user:password@localhost:5432/db",
    "https://user:password@example.com/x", "mysql://root:root@127.0.0.1/test", "postgresql://postgres:postgres@db:5432/app", "amqp://guest:guest@localhost:5672/", "ftp://anonymous:guest@localhost/",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "OPENAI_API_KEY=YOUR_OPENAI_API_KEY_HERE_1234567890", "api_key = 'your-api-key-here-0123456789'", "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "sk-ant-api03-xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "sk-...", "sk-ant-...", "Bearer YOUR_ACCESS_TOKEN_HERE",
    "Authorization: Bearer <token>", "Bearer ${API_TOKEN}", "xoxb-your-token-here-example", "AIzaXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
    "SG.xxxxxxxxxxxxxxxxxxxxxx.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX", "export ANTHROPIC_API_KEY=sk-ant-your-key-here",
    "password=os.environ['DB_PASSWORD']", "api_key=settings.OPENAI_API_KEY_FOR_PRODUCTION_2024", "token: process.env.GITHUB_TOKEN_2024_VALUE",
    "-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ",
    # Words, names, sentences.
    "a-very-long-hyphenated-word-that-goes-on-and-on-without-any-end", "pa-per-thin-and-very-long-hyphenated-words-without-number",
    "sk-learn-pipelines-with-many-many-words-in-a-row", "the-quick-brown-fox-jumps-over-the-lazy-dog-2024-12-31",
    "task-risk-disk-skeleton-sk-based-asking", "pa-thetic ek_nosk fc-barcelona hf_transfer fw_update gsk_ and xai-",
    "fw_is_set_to_the_default_value_of_the_firmware", "re_search_the_whole_document_again_please", "Basic understanding of programming languages",
    "Basic internationalization and localization", "Bearer tokens expire after one hour", "The bearer of this letter may enter",
    "sess-ions are stored in memory", "key-value stores are fast", "Key: A minor, 4/4", "the secret is to keep stirring",
    "API-first design of the whole platform", "shopify_access_scopes", "npm_config_registry=https://registry.example.test/", "SKU 0123456789abcdef0123456789abcdef",
    "secret_ingredient_is_nutmeg_and_a_little_bit_of_cinnamon_too", "vcr_cassettes_are_recorded_in_the_folder_of_the_test", "exa_mple",
    # Hashes, identifiers, numbers.
    hexa(32), hexa(40), hexa(56), hexa(64), hexa(128), "sha256:" + hexa(64), "sha1-" + hexa(40), f"md5 {hexa(32)}", f"etag: {hexa(32)}",
    UUID, f"urn:uuid:{UUID}", f"request id {UUID}", f"req_{words(24)}", "cache_key: " + hexa(64), "partition_key=" + hexa(40),
    f"primary_key = {hexa(32)}", f"idempotency-key: {UUID}", f"next_page_token={made_up(40)[::-1]}", f"nextPageToken: {made_up(40)[::-1]}",
    f"continuation_token = {made_up(40)[::-1]}", f"commit {hexa(40)}", f"page_token: {made_up(30)[::-1]}", f"public_key: {made_up(44)[::-1]}",
    "4111 1111 1111 1111", "+49 30 123456789", "2024-12-31T23:59:59.999999Z", "1234567890123456789012345678901234567890",
    "192.168.100.100", "2001:0db8:85a3:0000:0000:8a2e:0370:7334", "00:1B:44:11:3A:B7", "v1.2.3-rc.1+build.20240131",
    "pypi-publish", "sha512-" + base64.b64encode(bytes(range(64))).decode(), "fp_" + hexa(10), "fp_" + hexa(14),
    # What providers call things.
    f"chatcmpl-{made_up(29)}", f"resp_{hexa(50)}", f"msg_01{made_up(22)}", f"call_{made_up(24)}", f"toolu_01{made_up(22)}",
    f"file-{made_up(24)}", f"asst_{made_up(24)}", f"thread_{made_up(24)}", f"run_{made_up(24)}", f"step_{made_up(24)}",
    f"batch_{hexa(32)}", f"rs_{hexa(50)}", f"fc_{hexa(50)}", f"ws_{hexa(48)}", f"gen-1712345678-{made_up(20)}",
    f"cmpl-{made_up(28)}", f"embd-{hexa(32)}", f"vs_{hexa(32)}", f"ftjob-{made_up(24)}", f"container_01{made_up(22)}",
    f"srvtoolu_01{made_up(22)}", f"compl_{UUID}", f"msgbatch_01{made_up(22)}", f"conv_{hexa(48)}", f"ig_{hexa(48)}", f"cntr_{hexa(48)}",
    "us.anthropic.claude-sonnet-4-5-20250929-v2:0", "gpt-4o-mini-2024-07-18", "claude-3-5-haiku-20241022", "gemini-2.5-flash-lite-preview-06-17",
    "meta-llama/Llama-3.3-70B-Instruct-Turbo", "ft:gpt-4o-mini-2024-07-18:acme::AbCdEfGh", "accounts/fireworks/models/llama-v3p1-405b-instruct",
    "mistralai/Mixtral-8x22B-Instruct-v0.1", "qwen2.5-coder-32b-instruct-q4_K_M", "deepseek-r1-distill-llama-70b", "text-embedding-3-large",
    "nvidia/llama-3.1-nemotron-70b-instruct", "grok-4-fast-reasoning", "command-r-plus-08-2024", "o4-mini-deep-research-2025-06-26",
    "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3", "projects/p/locations/us/publishers/google/models/gemini",
    # URLs and addresses.
    "https://h.test/x?a=1&sig=short", "https://h.test/x?key=value&token=none", "https://h.test/?q=password&lang=en", "https://h.test/#section-2",
    "git@github.com:owner/repository.git", "somebody@example.com", "ssh://git@github.com:22/owner/repo", "redis://localhost:6379/0",
    "https://h.test:8443/path@2x.png", "s3://bucket/key/with/slashes/object-0123456789.json", "data:text/plain;charset=utf-8,hello",
    "https://h.test/image.png?width=1024&height=768&v=20240131", "mailto:a.b@example.com?subject=token", "wss://h.test/socket?room=12",
    f"https://cdn.h.test/{hexa(40)}/app.js", f"https://github.com/o/r/commit/{hexa(40)}", "https://h.test/a:b@c", "http://[::1]:8080/",
    "discord.com/api/v10/gateway", "https://hooks.slack.com/", "file:///home/user/.ssh/id_rsa.pub",
    # Images, signatures, encoded text.
    "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 8).decode(), base64.b64encode(bytes(range(200))).decode(),
    base64.urlsafe_b64encode(bytes(range(255, 0, -1)) * 8).decode(), "gAAAAAB" + base64.urlsafe_b64encode(bytes(range(120))).decode(),
    b64("an ordinary sentence that somebody encoded in base64, twice as long as it has to be"), "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" + made_up(100), "EAAAAAAAAAAAAA" + made_up(100) + "==",
    "/9j/4AAQSkZJRgABAQEAYABgAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL",
    json.dumps({"token": " the", "logprob": -0.1}), json.dumps({"max_tokens": 512, "total_tokens": 15}), json.dumps({"stop_token": "<|end|>"}),
    json.dumps({"input_token_details": {"cache_read": 4}}), json.dumps({"password_policy": "at least 12 characters"}),
    "def tokenize(text: str) -> list[str]: ...", "SELECT token, secret FROM words WHERE key = 'abc'", "if key == value: token = next(tokens)",
    "the API_KEY variable holds the key", "a TOKEN is about four characters", "--api-key KEY", "--token $(cat token.txt)",
    "ENV TOKEN_FILE /run/secrets/token", "<key>CFBundleShortVersionString</key>", "key, value in sorted(items.items())",
    "token: 1234567890abcdef", "api_key='test-key-12345678'", "password: correct-horse-battery-staple",
    "token_type: urn:ietf:params:oauth:token-type", "Bearer authentication-with-json-tokens", "settings.SecretSettings2024",
    "its.ConfigurationOfTheServer1", "Donaudampfschifffahrtsgesellschaftskapitaen", "Rindfleischetikettierungsueberwachungsaufgaben",
    "secret: Kraftfahrzeughaftpflichtversicherung2024", "eos_token: <|endoftext|>", "bos_token_id: 128000", "pad_token = tokenizer.eos_token",
    'key="label" value="Bundesausbildungsfoerderungsgesetz"', "sc_main.users.acc_list", "1234567890123456|2024-01-01",
    "<input type='password' name='password' placeholder='Password'>", "curl -H 'Authorization: Bearer $TOKEN' https://h.test", "sudo apt-key add -",
]  # fmt: skip
