package lib;

public abstract class L { public abstract void m(); }
