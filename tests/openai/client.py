"""The official client, unchanged: python client.py ORIGIN KEY."""

import json
import os
import sys
import urllib.request

import openai

origin, key = sys.argv[1:]
client = openai.OpenAI(base_url=f"{origin}/v1", api_key=key)
chat = {
    "model": "talker",
    "temperature": 0,
    "messages": [{"role": "user", "content": "hello my friends"}],
}

assert [model.id for model in client.models.list()] == ["embedder", "talker"]
assert client.models.retrieve("talker").object == "model"

# The client itself asks for base64 and decodes it.
texts = [f"text {number}" for number in range(20)]
packed = client.embeddings.create(model="embedder", input=texts)
plain = client.embeddings.create(model="embedder", input=texts, encoding_format="float")
assert len(packed.data) == 20 and len(packed.data[0].embedding) == 8
for one, other in zip(packed.data, plain.data):
    assert one.embedding == other.embedding, (one, other)
assert plain.usage.total_tokens == 40

raw = client.chat.completions.with_raw_response.create(**chat)
answer = raw.parse()
assert answer.choices[0].message.content == "hello my friends"
assert answer.choices[0].finish_reason == "stop"
assert answer.usage.completion_tokens == 3
assert raw.headers["grid-notice"] == "nodes see the prompt"
request = urllib.request.Request(raw.headers["grid-receipt"])
request.add_header("Authorization", f"Bearer {key}")
no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
with no_proxy.open(request) as receipt:
    assert json.load(receipt)["standing"] == "canonical"

stream = client.chat.completions.create(
    **chat, stream=True, stream_options={"include_usage": True}
)
text, finish, usage = "", None, None
for chunk in stream:
    for choice in chunk.choices:
        text += choice.delta.content or ""
        finish = choice.finish_reason or finish
    usage = chunk.usage or usage
assert (text, finish, usage.total_tokens) == ("hello my friends", "stop", 6)

completion = client.completions.create(model="talker", prompt="go on", temperature=0)
assert completion.choices[0].text == "go on"


def raises(kind, call, **expected):
    """The call fails as the client's own exception of this kind."""
    try:
        call()
    except kind as error:
        for name, value in expected.items():
            assert getattr(error, name) == value, (name, error)
        return
    raise AssertionError("no error")


def create(client, **change):
    """A chat with a change."""
    return lambda: client.chat.completions.create(**{**chat, **change})


raises(openai.NotFoundError, create(client, model="none"), code="model_not_found", param="model")
raises(
    openai.BadRequestError,
    create(client, logit_bias={}),
    code="unsupported_parameter",
    param="logit_bias",
    type="invalid_request_error",
)
stranger = openai.OpenAI(base_url=f"{origin}/v1", api_key="grid_wrong")
raises(openai.AuthenticationError, stranger.models.list, code="invalid_api_key")
poor = openai.OpenAI(base_url=f"{origin}/v1", api_key=os.environ["POOR_KEY"])
raises(openai.RateLimitError, create(poor), code="insufficient_quota")
print("the Python client is content")
