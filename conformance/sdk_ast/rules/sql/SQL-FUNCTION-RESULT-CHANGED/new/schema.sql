-- dialect: postgres
CREATE FUNCTION f(a INT) RETURNS TEXT AS $$ SELECT 'x' $$ LANGUAGE sql;
