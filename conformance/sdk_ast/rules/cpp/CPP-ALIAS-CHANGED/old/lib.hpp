using id = int;
