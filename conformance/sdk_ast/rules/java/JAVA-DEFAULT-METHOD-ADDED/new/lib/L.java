package lib;

public interface L { void a(); default void b() {} }
