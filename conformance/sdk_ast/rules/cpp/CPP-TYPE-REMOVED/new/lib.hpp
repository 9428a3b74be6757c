using b = int;
