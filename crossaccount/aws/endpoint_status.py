"""The statuses of an endpoint in sets by their meaning, each set once. Not here: waiting for one (``hosting``).

Source: DescribeEndpoint (EndpointStatus) in the SageMaker API reference.
"""

COMING_UP = ("Creating", "Updating", "SystemUpdating", "RollingBack")  # it may yet be InService
IN_PROGRESS = (*COMING_UP, "Deleting")  # no change can be asked of it
SERVING_NOTHING = ("Creating", "Deleting")  # among those in progress
# After UpdateRollbackFailed a mix of two versions may answer.
ANSWERING_NOTHING = (*SERVING_NOTHING, "Failed", "OutOfService", "UpdateRollbackFailed")
GONE = ("Failed", "Deleting")  # it runs on nothing any more
