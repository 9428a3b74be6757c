-- dialect: postgres
CREATE FUNCTION f(b INT) RETURNS INT AS $$ SELECT 1 $$ LANGUAGE sql;
