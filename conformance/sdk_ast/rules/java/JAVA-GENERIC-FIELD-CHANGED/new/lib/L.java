package lib;

import java.util.*;
public class L { public List<Integer> x; }
