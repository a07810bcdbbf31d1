"""OpenAI's dialect: requests in and out, answers read and written."""
