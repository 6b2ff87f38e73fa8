"""What every surface offers operators: deciding, sheets, lists, figures, files to take along. No surface is here."""
