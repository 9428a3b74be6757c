-- dialect: postgres
CREATE FUNCTION f(a INT, b INT) RETURNS INT AS $$ SELECT 1 $$ LANGUAGE sql;
