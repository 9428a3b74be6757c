package lib;

public class L<T, U> {}
