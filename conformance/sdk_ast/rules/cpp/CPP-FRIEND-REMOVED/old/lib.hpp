struct A { friend struct F; };
