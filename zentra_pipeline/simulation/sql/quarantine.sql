-- Grain: a row in quarantine.
select
    source,
    file_id,
    row_number
from quarantine
