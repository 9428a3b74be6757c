-- dialect: postgres
CREATE FUNCTION f(a INT) RETURNS INT AS $$ SELECT 2 $$ LANGUAGE sql;
