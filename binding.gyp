# For node-gyp and prebuildify, which look for this file: they too build with CMake, through the project's script.
{
  "targets": [
    {
      "target_name": "medmamba",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/medmamba.node"],
          "action": ["node", "scripts/build.mjs", "native"],
        }
      ],
    }
  ]
}
