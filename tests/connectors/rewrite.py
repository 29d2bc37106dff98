"""Write the expected facts of all payload files anew: python -m tests.connectors.rewrite"""

from __future__ import annotations

from tests.connectors.translations import expected_file, payload_files, translated

if __name__ == "__main__":
    for path in payload_files():
        expected_file(path).write_text(translated(path))
        print(expected_file(path).name)
