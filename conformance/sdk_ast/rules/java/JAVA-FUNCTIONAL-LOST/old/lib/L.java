package lib;

public interface L { void m(); }
