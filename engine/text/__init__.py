"""Text of prompts and tokens: masks in prompts, characters split over tokens, chat templates.  No torch."""
