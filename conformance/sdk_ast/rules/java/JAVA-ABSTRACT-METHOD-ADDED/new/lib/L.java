package lib;

public interface L { void a(); void b(); }
