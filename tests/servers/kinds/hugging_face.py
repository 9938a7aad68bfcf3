"""multi-model-server with Hugging Face's toolkit."""

from multi_model_server import main

if __name__ == "__main__":
    main("sagemaker_huggingface_inference_toolkit.handler_service")
