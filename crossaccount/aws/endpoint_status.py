"""What the statuses of an endpoint mean, each set once.

Source: DescribeEndpoint (EndpointStatus) in the SageMaker API reference.
"""

IN_PROGRESS = (
    "Creating",
    "Updating",
    "SystemUpdating",
    "RollingBack",
    "Deleting",
)  # nothing can be asked of it
COMING_UP = ("Creating", "Updating", "SystemUpdating", "RollingBack")  # it may yet be InService
SERVING_NOTHING = ("Creating", "Deleting")  # among those in progress
ANSWERING_NOTHING = (
    *SERVING_NOTHING,
    "Failed",
    "OutOfService",
    "UpdateRollbackFailed",
)  # or a mix of two versions
GONE = ("Failed", "Deleting")  # it runs on nothing any more
