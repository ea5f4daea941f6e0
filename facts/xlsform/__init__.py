"""FACTS on a phone: schedules as XLSForms for ODK and Kobo, and their submissions read back. Pure: knows no database.

`export.build` makes a form of a schedule, `export.workbook` its XLSX bytes; `submissions.read_submissions` turns what
the servers export into answers as people typed them. What a form cannot check (last year, other schedules) the
observatory checks.
"""
