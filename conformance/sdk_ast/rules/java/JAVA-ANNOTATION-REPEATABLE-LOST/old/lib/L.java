package lib;

import java.lang.annotation.*;
@Repeatable(L.Many.class)
public @interface L { int v();
    @interface Many { L[] value(); } }
