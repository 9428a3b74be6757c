package lib;

public @interface L { int v(); }
