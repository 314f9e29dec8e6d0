"""What a dialect is: a module with these functions, each of which builds a request or refuses to.

The account and video are the hosted router's alone: see `hosted_account` and `hosted`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from indoxrouter.wire import hosted, openai_compat
from indoxrouter.wire.checks import Messages
from indoxrouter.wire.messages import FilePart, Kind, Request


class Dialect(Protocol):
    """Functions of the same names and parameters; `models` and so on as the client's methods."""

    DEFAULT_MODELS: Mapping[Kind, str]

    def chat(
        self,
        messages: Messages,
        *,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        stream: bool,
        params: Mapping[str, Any],
    ) -> Request: ...
    def completion(
        self,
        prompt: str,
        *,
        model: str,
        temperature: float | None,
        max_tokens: int | None,
        stream: bool,
        params: Mapping[str, Any],
    ) -> Request: ...
    def embeddings(self, text: str | Sequence[str], *, model: str, params: Mapping[str, Any]) -> Request: ...
    def image(self, prompt: str, *, model: str, size: str | None, params: Mapping[str, Any]) -> Request: ...
    def speech(self, text: str, *, model: str, voice: str | None, params: Mapping[str, Any]) -> Request: ...
    def transcribe(self, file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request: ...
    def translate_audio(self, file: FilePart, *, model: str, params: Mapping[str, Any]) -> Request: ...
    def models(self, provider: str | None = None, kind: str | None = None) -> Request: ...
    def providers(self) -> Request: ...
    def model_info(self, provider: str, model: str) -> Request: ...
    def create_file(self, file: FilePart, *, purpose: str, params: Mapping[str, Any]) -> Request: ...
    def list_files(self) -> Request: ...
    def retrieve_file(self, file_id: str) -> Request: ...
    def file_content(self, file_id: str) -> Request: ...
    def delete_file(self, file_id: str) -> Request: ...


DIALECTS: Mapping[str, Dialect] = {"indox": hosted, "openai": openai_compat}
