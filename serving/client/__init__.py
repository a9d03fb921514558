"""What cameras' programs use: clients over gRPC and HTTP, each blocking or asynchronous."""

from serving.client.blocking_http_client import BlockingHttpDetectClient
from serving.client.grpc_client import AsyncDetectClient, DetectClient
from serving.client.http_client import HttpDetectClient

__all__ = ["AsyncDetectClient", "BlockingHttpDetectClient", "DetectClient", "HttpDetectClient"]
