package lib;

public @interface L {}
