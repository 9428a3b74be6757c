package lib;

import java.lang.annotation.*;
@Repeatable(Ls.class)
public @interface L { int v(); }
