"""Pictures, videos and speech in OpenAI's API and in compatible ones: billed by the token, by the second, or at a stated cost."""

from __future__ import annotations

from pytest_llm_usage.wire.flavour import Flavour, Source, ToolUsage, all_of, any_of, first_has, has_members, has_type
from pytest_llm_usage.wire.pieces import BilledItems, StatedCost
from pytest_llm_usage.wire.providers.openai import OPENAI
from pytest_llm_usage.wire.schema import UsageSchema

#: Tokens of a picture, unless details say otherwise: the end of a stream has none (the openai SDK:
#: `ImageGenCompletedEvent`). xAI's pictures state their cost, and no tokens:
#: https://docs.x.ai/docs/guides/image-generations
_IMAGES = OPENAI.replace(
    other_units=("cost_in_usd_ticks",),
    billed_output_details={
        "image": (*OPENAI.billed_output_details["image"], "output_tokens", "completion_tokens"),
    },
)
IMAGES_SOURCE = Source(("usage",), _IMAGES)

#: Microsoft's own models on Azure:
#: https://learn.microsoft.com/azure/foundry/foundry-models/how-to/use-foundry-models-mai, and litellm's
#: `azure_ai/image_generation/mai_transformation.py`.
_MAI_IMAGES = UsageSchema(
    input=("num_input_text_tokens",),
    output=("num_output_tokens", "output_image_tokens"),
    more_input=("num_input_image_tokens",),
    billed_input_details={"image": ("num_input_image_tokens",)},
    billed_output_details={"image": ("num_output_tokens", "output_image_tokens")},
    states_both=True,
)

#: The openai SDK: `UsageDuration`; OpenRouter's `STTUsage` has both.
_SPEECH = OPENAI.replace(
    other_units=("seconds", "prompt_audio_seconds"),
    tokens_unstated=True,
    items=(BilledItems("audio_second", ("seconds", "prompt_audio_seconds"), is_billed=lambda _: False, begun=True),),
)
#: The older verbose transcriptions (`verbose_json`). The openai SDK: `TranscriptionVerbose`.
_SPEECH_IN_FULL = UsageSchema(
    input=(),
    other_units=("duration",),
    tokens_unstated=True,
    items=(BilledItems("audio_second", ("duration",), begun=True),),
)

#: What is billed by the second. The openai SDK: `Video`. xAI's, once they are done, state their cost and no tokens:
#: https://docs.x.ai/docs/guides/video-generations
_VIDEO = UsageSchema(
    input=(),
    other_units=("seconds", "usage.cost_in_usd_ticks"),
    items=(BilledItems("video_second", ("seconds", "video.duration"), begun=True),),
    costs=(StatedCost(path="usage.cost_in_usd_ticks", units_per_usd=10**10, zero_is_unset=True),),
)

FLAVOURS: tuple[Flavour, ...] = (
    Flavour(
        name="openai-images",
        home="openai",
        path=r"(?:/deployments/(?P<deployment>[^/]+))?/images/(?:generations|edits|variations)$",
        looks=any_of(
            all_of(has_members("created"), first_has("data", "b64_json")),
            has_type("image_generation."),
            has_type("image_edit."),
        ),
        sources=(Source(("usage",), _MAI_IMAGES), IMAGES_SOURCE),
        # The openai SDK: `SvgUsage`.
        tools=(ToolUsage(kind="svg", paths=("svg_usage",), schema=OPENAI, model=("model",)),),
        end=rb'"image_(?:generation|edit)\.completed"',
    ),
    # https://developers.openai.com/api/reference/resources/videos
    Flavour(
        name="openai-videos",
        home="openai",
        path=r"/videos(?:/generations|/edits|/extensions|/[^/]+/remix)?$",
        request=("prompt",),
        sources=(Source(("",), _VIDEO),),
        # xAI's have the id of the request: https://docs.x.ai/docs/guides/video-generations
        stored=r"/videos/(?P<id>video_[^/]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$",
        response_id=("id", "request_id"),
    ),
    Flavour(
        name="openai-audio",
        home="openai",
        path=r"(?:/deployments/(?P<deployment>[^/]+))?/audio/(?:transcriptions|translations|speech)$",
        looks=has_type("transcript.text."),
        sources=(Source(("usage",), _SPEECH), Source(("",), _SPEECH_IN_FULL)),
        end=rb'"(?:transcript\.text|transcription|speech\.audio)\.done"',
    ),
)
