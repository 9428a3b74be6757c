package lib;

public interface L { default void m() {} }
