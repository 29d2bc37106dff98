"""What an assessor would do: plant persons, run everything, search every byte, steal the files, turn the clock."""
