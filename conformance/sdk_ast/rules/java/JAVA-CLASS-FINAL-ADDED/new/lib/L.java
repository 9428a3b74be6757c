package lib;

public final class L {}
