package lib;

public abstract class L {}
