package lib;

public enum L { A, B }
