"""SageMaker's model registry and hosting as this path uses them, with AWS's conditions and error texts.

Held here rather than in moto, whose registry has no group policies and lowers names, and whose CreateModel and
CreateEndpoint ask nothing and start nothing.

Not modelled: validation and transform jobs of packages, model cards, Marketplace products, adapters and several specifications of
inference components, multi-model endpoints, additional model data sources (they are checked, and not fetched);
what a VPC reaches, quotas that nobody arranged
(``outcomes``); EventBridge, AWS RAM.

Source: botocore's SageMaker model for names and limits; the error texts are quotes from public reports.
"""
