-- What a scenario may expect of quarantine. Grain: a row of the table.
select
    source,
    file_id,
    row_number
from quarantine
