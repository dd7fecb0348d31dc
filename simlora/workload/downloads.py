"""Public traces that can be fetched: where from, under which licence, and what the bytes must be.

SHA-256 and size are of the file as published, at the commit that its address names; ``None`` where the publisher
states neither and no copy was at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from simlora.workload.readers import azure_invocations, azure_llm, mooncake

CC_BY = "CC-BY 4.0 (https://github.com/Azure/AzurePublicDataset/blob/master/LICENSE)"
AZURE = "https://raw.githubusercontent.com/Azure/AzurePublicDataset/b469a113cedca53ddc3bdea71a143dc4b7d8700c/data"
MOONCAKE = "https://raw.githubusercontent.com/kvcache-ai/Mooncake/3b5a594133958449a1feaf1c9e0fc1b553e34a28"


@dataclass(frozen=True)
class Download:
    """One file. ``file``: where it goes under the data folder, packed with gzip if that ends in .gz. ``then``: what is
    left to do by hand."""

    url: str
    file: str
    licence: str
    cite: str
    sha256: str | None
    bytes: int | None
    then: str = ""


DOWNLOADS = {
    "azure-llm-2023/code": Download(
        f"{AZURE}/AzureLLMInferenceTrace_code.csv",
        azure_llm.FILES["code"],
        CC_BY,
        "Patel et al., Splitwise, ISCA 2024",
        "54e9a6d2a4bd06ba1e060304b900abbc74cbea53de96506e60fe5bb4f2277fb6",
        320_117,
    ),
    "azure-llm-2023/conv": Download(
        f"{AZURE}/AzureLLMInferenceTrace_conv.csv",
        azure_llm.FILES["conv"],
        CC_BY,
        "Patel et al., Splitwise, ISCA 2024",
        "2f1e5b666d4e3055fdbba98598ce2ec307767b9064e03e2fa46676dbcc7d0bf8",
        719_188,
    ),
    "mooncake/conversation": Download(
        f"{MOONCAKE}/FAST25-release/traces/conversation_trace.jsonl",
        mooncake.FILES["conversation"],
        "Apache-2.0 (https://github.com/kvcache-ai/Mooncake/blob/main/LICENSE-APACHE)",
        "Qin et al., Mooncake, FAST 2025",
        "b8cbb061a85206d729d91cdc2981f43c9e0d99209dce588d3af5f7934408b9df",
        3_029_533,
    ),
    "azure-functions-2021": Download(
        "https://github.com/Azure/AzurePublicDataset/raw/master/data/"
        "AzureFunctionsInvocationTraceForTwoWeeksJan2021.rar",
        azure_invocations.FILES["azure-functions-2021"].replace(".txt", ".rar"),
        CC_BY,
        "Zhang et al., Faster and Cheaper Serverless Computing on Harvested Resources, SOSP 2021",
        None,
        None,
        "unpack it there (unrar x), which leaves the .txt that simlora reads",
    ),
}
