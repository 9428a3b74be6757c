SELECT CAST('x' AS mood);
