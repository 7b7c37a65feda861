"""The verbs: each puts the rooms below together; nothing here prints."""
