"""Before anything is made in the target account: is this version there, approved, and what its Release says it is?

Every check is a read in the consumer's deployer role. Not here: what is made (``serving``), and why a read was refused
(``refusals``, ``diagnosis``).

Source: DescribeModelPackage in the SageMaker API reference; HeadObject in the S3 API reference.
"""

from __future__ import annotations
