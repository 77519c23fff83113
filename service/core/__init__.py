"""The recognition session as pure logic: no asyncio, grpc, models or clock."""
