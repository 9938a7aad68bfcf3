"""Operations that moto lacks, or has without AWS's conditions: a file for each service, but for SageMaker's (``sagemaker``).

A handler is called after its caller was authenticated and every permission was judged.
"""
