"""The dialect of OpenAI's Responses API: requests in, answers written."""
