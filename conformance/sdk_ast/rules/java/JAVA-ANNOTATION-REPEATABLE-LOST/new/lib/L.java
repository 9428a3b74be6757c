package lib;

public @interface L { int v();
    @interface Many { L[] value(); } }
