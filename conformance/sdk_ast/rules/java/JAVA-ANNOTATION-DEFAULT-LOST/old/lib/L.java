package lib;

public @interface L { int v() default 1; }
