package lib;

public @interface Ls { L[] value(); }
